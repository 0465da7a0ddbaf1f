__turbopack_load_page_chunks__("/", [
  "static/chunks/3vye8s3zh32iv.js",
  "static/chunks/33ppqqxp98osa.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
