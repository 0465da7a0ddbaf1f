__turbopack_load_page_chunks__("/library", [
  "static/chunks/17v5mm_663vuk.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
