self.__BUILD_MANIFEST = {
  "/": [
    "static/chunks/3_po41_hgdcr5.js"
  ],
  "/404": [
    "static/chunks/11gze_qndpuo7.js"
  ],
  "/_error": [
    "static/chunks/30s1ogbkohehr.js"
  ],
  "/duplicates": [
    "static/chunks/0_8hl_cj9kbax.js"
  ],
  "/library": [
    "static/chunks/1_6ic89d42hz6.js"
  ],
  "__rewrites": {
    "afterFiles": [],
    "beforeFiles": [],
    "fallback": []
  },
  "sortedPages": [
    "/",
    "/404",
    "/_app",
    "/_error",
    "/duplicates",
    "/library"
  ]
};self.__TURBOPACK_PAGE_BOOTSTRAP = {"/404":{"otherChunks":["static/chunks/1rjqmxz_9e-4u.js"],"runtimeModuleIds":[783,8458]},"/duplicates":{"otherChunks":["static/chunks/37_s5oc4cdr5c.js"],"runtimeModuleIds":[783,3629]},"/":{"otherChunks":["static/chunks/2_d119r6ww117.js","static/chunks/2it6n9pe7k2v9.js"],"runtimeModuleIds":[783,9675]},"/library":{"otherChunks":["static/chunks/00sd9du0e_by_.js"],"runtimeModuleIds":[783,4931]},"/_app":{"otherChunks":["static/chunks/243zcdy-vjsld.js","static/chunks/2kae0lmptiupa.js","static/chunks/25hwf1ceq8rdt.js","static/chunks/0g_yaikh6s_o8.js","static/chunks/1dd2xyz1z4t9z.js","static/chunks/0e59gvvxjcvbl.css"],"runtimeModuleIds":[783,8146]},"/_error":{"otherChunks":["static/chunks/0fj1dcyjnd88o.js"],"runtimeModuleIds":[783,184]}};self.__TURBOPACK_CHUNK_LOADING_GLOBAL = "TURBOPACK";self.__BUILD_MANIFEST_CB && self.__BUILD_MANIFEST_CB()