__turbopack_load_page_chunks__("/", [
  "static/chunks/133718nx0ylga.js",
  "static/chunks/2it6n9pe7k2v9.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
