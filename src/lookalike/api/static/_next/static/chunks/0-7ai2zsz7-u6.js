__turbopack_load_page_chunks__("/library", [
  "static/chunks/05pbv84qbkv5_.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
