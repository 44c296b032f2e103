/** Takes away the sentence for pages whose scripts do not come: it runs when all that a page imports is there. */

document.getElementById("unstarted")?.remove();
