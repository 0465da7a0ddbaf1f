__turbopack_load_page_chunks__("/", [
  "static/chunks/3x-req_tjuo7d.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
