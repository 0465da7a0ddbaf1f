__turbopack_load_page_chunks__("/library", [
  "static/chunks/0dnusbx1ducyj.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
