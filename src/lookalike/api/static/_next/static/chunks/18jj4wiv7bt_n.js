__turbopack_load_page_chunks__("/duplicates", [
  "static/chunks/4163f1r_tr_h3.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
