__turbopack_load_page_chunks__("/duplicates", [
  "static/chunks/37_s5oc4cdr5c.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
