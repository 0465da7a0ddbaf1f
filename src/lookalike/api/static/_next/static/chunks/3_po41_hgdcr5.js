__turbopack_load_page_chunks__("/", [
  "static/chunks/2_d119r6ww117.js",
  "static/chunks/2it6n9pe7k2v9.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
