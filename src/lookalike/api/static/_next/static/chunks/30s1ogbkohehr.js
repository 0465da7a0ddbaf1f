__turbopack_load_page_chunks__("/_error", [
  "static/chunks/0fj1dcyjnd88o.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
