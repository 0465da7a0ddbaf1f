__turbopack_load_page_chunks__("/_app", [
  "static/chunks/243zcdy-vjsld.js",
  "static/chunks/2kae0lmptiupa.js",
  "static/chunks/25hwf1ceq8rdt.js",
  "static/chunks/0g_yaikh6s_o8.js",
  "static/chunks/1dd2xyz1z4t9z.js",
  "static/chunks/0shaz71sin2b0.css",
  "static/chunks/turbopack-2u1d16houkiyo.js"
])
