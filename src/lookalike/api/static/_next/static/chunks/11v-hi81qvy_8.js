__turbopack_load_page_chunks__("/duplicates", [
  "static/chunks/0h_l0jmpitua8.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
