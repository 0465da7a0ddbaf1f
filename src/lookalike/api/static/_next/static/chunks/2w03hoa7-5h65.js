__turbopack_load_page_chunks__("/404", [
  "static/chunks/0bysuxc8iqxt4.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
