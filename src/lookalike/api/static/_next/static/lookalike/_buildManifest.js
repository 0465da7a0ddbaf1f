self.__BUILD_MANIFEST = {
  "/": [
    "static/chunks/0cqu1kkhp-z1h.js"
  ],
  "/404": [
    "static/chunks/2w03hoa7-5h65.js"
  ],
  "/_error": [
    "static/chunks/30s1ogbkohehr.js"
  ],
  "/duplicates": [
    "static/chunks/2sbxyae7sets5.js"
  ],
  "/library": [
    "static/chunks/16cyxs1l8_m1_.js"
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
};self.__TURBOPACK_PAGE_BOOTSTRAP = {"/404":{"otherChunks":["static/chunks/0bysuxc8iqxt4.js"],"runtimeModuleIds":[783,8458]},"/duplicates":{"otherChunks":["static/chunks/1br-s1w_m07f0.js"],"runtimeModuleIds":[783,3629]},"/":{"otherChunks":["static/chunks/3jz6-8pm86ng8.js"],"runtimeModuleIds":[783,9675]},"/library":{"otherChunks":["static/chunks/3fykxk2bpz1dg.js"],"runtimeModuleIds":[783,4931]},"/_app":{"otherChunks":["static/chunks/243zcdy-vjsld.js","static/chunks/1wctwbp_qru6s.js","static/chunks/25hwf1ceq8rdt.js","static/chunks/0g_yaikh6s_o8.js","static/chunks/1dd2xyz1z4t9z.js","static/chunks/28b59w9qp-eqh.css"],"runtimeModuleIds":[783,8146]},"/_error":{"otherChunks":["static/chunks/0fj1dcyjnd88o.js"],"runtimeModuleIds":[783,184]}};self.__TURBOPACK_CHUNK_LOADING_GLOBAL = "TURBOPACK";self.__BUILD_MANIFEST_CB && self.__BUILD_MANIFEST_CB()