__turbopack_load_page_chunks__("/duplicates", [
  "static/chunks/30m1guz_iij46.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
