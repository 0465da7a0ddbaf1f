self.__BUILD_MANIFEST = {
  "/": [
    "static/chunks/0f7_2tn5-fj0g.js"
  ],
  "/404": [
    "static/chunks/11gze_qndpuo7.js"
  ],
  "/_error": [
    "static/chunks/30s1ogbkohehr.js"
  ],
  "/duplicates": [
    "static/chunks/18jj4wiv7bt_n.js"
  ],
  "/library": [
    "static/chunks/0-7ai2zsz7-u6.js"
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
};self.__TURBOPACK_PAGE_BOOTSTRAP = {"/404":{"otherChunks":["static/chunks/1rjqmxz_9e-4u.js"],"runtimeModuleIds":[783,8458]},"/duplicates":{"otherChunks":["static/chunks/4163f1r_tr_h3.js"],"runtimeModuleIds":[783,3629]},"/":{"otherChunks":["static/chunks/133718nx0ylga.js","static/chunks/2it6n9pe7k2v9.js"],"runtimeModuleIds":[783,9675]},"/library":{"otherChunks":["static/chunks/05pbv84qbkv5_.js"],"runtimeModuleIds":[783,4931]},"/_app":{"otherChunks":["static/chunks/0ise18ie6-ico.js","static/chunks/0vz9-34c6twip.js","static/chunks/25hwf1ceq8rdt.js","static/chunks/0g_yaikh6s_o8.js","static/chunks/1dd2xyz1z4t9z.js","static/chunks/07_rp2s1rwmft.css"],"runtimeModuleIds":[783,8146]},"/_error":{"otherChunks":["static/chunks/0fj1dcyjnd88o.js"],"runtimeModuleIds":[783,184]}};self.__TURBOPACK_CHUNK_LOADING_GLOBAL = "TURBOPACK";self.__BUILD_MANIFEST_CB && self.__BUILD_MANIFEST_CB()