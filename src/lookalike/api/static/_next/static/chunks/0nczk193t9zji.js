__turbopack_load_page_chunks__("/library", [
  "static/chunks/2wqmdv_f0gm_n.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
