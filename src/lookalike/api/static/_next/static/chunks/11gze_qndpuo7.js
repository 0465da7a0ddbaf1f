__turbopack_load_page_chunks__("/404", [
  "static/chunks/1rjqmxz_9e-4u.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
