__turbopack_load_page_chunks__("/library", [
  "static/chunks/00sd9du0e_by_.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
