__turbopack_load_page_chunks__("/library", [
  "static/chunks/1khwiwlk4lp4m.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
