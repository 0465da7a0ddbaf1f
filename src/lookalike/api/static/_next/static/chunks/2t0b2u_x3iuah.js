__turbopack_load_page_chunks__("/library", [
  "static/chunks/2icju5khz1tyk.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
