/* Accredit, Apache-2.0. Keeps the transaction id and the campaign of a landing on the shop's own domain, and reports
   conversions: <script data-order-id="…"> on the page of thanks, or accredit.convert({order_id: "…", amount: "49.90"}).
   With Global Privacy Control it keeps nothing, and sends no more than the transaction id in the address at hand. */
(function (w, d, n) {
  "use strict";
  var script = d.currentScript;
  if (!script) return;
  var set = script.dataset, origin = new URL(script.src).origin, KEY = "accredit", DAYS = +(set.days || 90);
  var CAMPAIGN = /^(utm_[a-z_]+|gclid|gbraid|wbraid|dclid|fbclid|msclkid|ttclid|twclid|li_fat_id|epik|ScCid|yclid)$/;
  var names = (set.param || "transaction_id tid click_id clickid").split(" ");
  var optOut = n.globalPrivacyControl === true;

  function attempt(f) {
    try { return f(); } catch (e) { return null; }
  }

  function landed() {
    var found = {};
    new URLSearchParams(w.location.search).forEach(function (value, name) {
      if (names.indexOf(name) >= 0 && /^[\w-]{60}$/.test(value)) found.transaction_id = value;
      else if (CAMPAIGN.test(name)) found[name] = value.slice(0, 200);
    });
    return found;
  }

  function write(text, seconds) {
    attempt(function () {
      d.cookie = KEY + "=" + encodeURIComponent(text) + ";path=/;max-age=" + seconds + ";samesite=lax" +
        (set.cookieDomain ? ";domain=" + set.cookieDomain : "") + (w.location.protocol === "https:" ? ";secure" : "");
    });
    attempt(function () {
      if (text) w.localStorage.setItem(KEY, Date.now() + seconds * 1e3 + " " + text);
      else w.localStorage.removeItem(KEY);
    });
  }

  function read() {
    var text = attempt(function () {
      var found = d.cookie.match(new RegExp("(?:^|; )" + KEY + "=([^;]*)"));
      return found && decodeURIComponent(found[1]);
    }) || attempt(function () {
      var parts = w.localStorage.getItem(KEY).split(" ");
      return +parts[0] > Date.now() ? parts[1] : "";
    });
    var kept = {};
    new URLSearchParams(text || "").forEach(function (value, name) { kept[name] = value; });
    return kept;
  }

  function arrive() {
    var now = landed(), kept, name;
    if (optOut) return write("", 0);
    if (!Object.keys(now).length) return;
    kept = read();
    if (now.transaction_id || !kept.transaction_id) kept = {};
    for (name in now) kept[name] = now[name];
    write(new URLSearchParams(kept).toString(), DAYS * 86400);
  }

  function convert(sale) {
    var all = {}, body = new URLSearchParams(), known = landed(), name, url = origin + "/px";
    if (set.advertiser) all.advertiser_id = set.advertiser;
    if (optOut) known = known.transaction_id ? { transaction_id: known.transaction_id } : {};
    else if (!known.transaction_id) known = Object.assign(read(), known);
    Object.assign(all, known, sale);
    for (name in all) {
      if (all[name] == null || all[name] === "" || (optOut && /^(customer|customer_id|email)$/.test(name))) continue;
      body.append(name, all[name]);
    }
    if (!optOut && n.sendBeacon && attempt(function () { return n.sendBeacon(url, body); })) return;
    if (w.fetch) {
      w.fetch(url, { method: "POST", body: body, keepalive: true, mode: "no-cors",
        credentials: optOut ? "omit" : "include" }).catch(function () { image(body); });
    } else image(body);
  }

  /* An address ends up in logs: no buyer's name in it. */
  function image(body) {
    ["customer", "customer_id", "email"].forEach(function (name) { body.delete(name); });
    new Image().src = origin + "/px.gif?" + body;
  }

  /* data-order-id, data-amount, … on the script report a conversion at once. */
  function declared() {
    var sale = {}, at = { advertiser: 1, days: 1, param: 1, cookieDomain: 1 }, name;
    for (name in set) if (!at[name]) sale[name.replace(/[A-Z]/g, function (c) { return "_" + c.toLowerCase(); })] = set[name];
    if (sale.order_id || sale.goal) convert(sale);
  }

  w.accredit = { convert: convert };
  arrive();
  declared();
})(window, document, navigator);
