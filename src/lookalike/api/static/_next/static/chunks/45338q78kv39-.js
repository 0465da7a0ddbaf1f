__turbopack_load_page_chunks__("/duplicates", [
  "static/chunks/3kg9k6knbgp55.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
