__turbopack_load_page_chunks__("/duplicates", [
  "static/chunks/1br-s1w_m07f0.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
