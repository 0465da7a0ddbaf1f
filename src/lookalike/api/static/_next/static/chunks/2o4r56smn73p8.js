__turbopack_load_page_chunks__("/_app", [
  "static/chunks/0ise18ie6-ico.js",
  "static/chunks/0vz9-34c6twip.js",
  "static/chunks/25hwf1ceq8rdt.js",
  "static/chunks/0g_yaikh6s_o8.js",
  "static/chunks/1dd2xyz1z4t9z.js",
  "static/chunks/07_rp2s1rwmft.css",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
