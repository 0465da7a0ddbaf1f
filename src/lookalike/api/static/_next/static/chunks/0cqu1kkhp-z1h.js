__turbopack_load_page_chunks__("/", [
  "static/chunks/3jz6-8pm86ng8.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
