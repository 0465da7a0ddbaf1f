__turbopack_load_page_chunks__("/library", [
  "static/chunks/1xf0ue_tnezz-.js",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
