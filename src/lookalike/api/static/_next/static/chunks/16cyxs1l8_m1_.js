__turbopack_load_page_chunks__("/library", [
  "static/chunks/3fykxk2bpz1dg.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
