// What a sale comes to, while it is typed. In whole cents and whole millionths, rounded like the server, which has
// the last word.
"use strict";

// The number without its point, with so many decimals; null where the server would not take it either.
function scaled(text, decimals, wholeDigits) {
  const match = /^(-?)((?:[1-9]\d{0,2}(?:,\d{3})+|\d*))(?:\.(\d+))?$/.exec(text.trim());
  if (!match || (match[2] === "" && match[3] === undefined)) return null;
  const whole = match[2].replaceAll(",", "").replace(/^0+/, "");
  const fraction = (match[3] ?? "").replace(/0+$/, "");
  if (whole.length > wholeDigits || fraction.length > decimals) return null;
  const value = BigInt(`${whole || "0"}${fraction.padEnd(decimals, "0")}`);
  return match[1] ? -value : value;
}

function pieces(text) {
  const value = text.includes(".") ? null : scaled(text, 0, 10);
  return value === null || BigInt.asIntN(32, value) !== value ? null : value;
}

// A midpoint goes away from zero.
function divided(value, by) {
  const half = value < 0n ? -by / 2n : by / 2n;
  return (value + half) / by;
}

function written(cents) {
  const digits = (cents < 0n ? -cents : cents).toString().padStart(3, "0");
  return `${cents < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

// The three amounts as the server would write them, or null.
function amounts(qty, cost, taxRate) {
  const [count, each, rate] = [pieces(qty), scaled(cost, 2, 10), scaled(taxRate, 6, 1)];
  if (count === null || each === null || rate === null) return null;
  const amt = count * each;
  const tax = divided(amt * rate, 1_000_000n);
  const all = [amt, tax, amt + tax];
  const isTooLarge = all.some((cents) => cents <= -(10n ** 14n) || cents >= 10n ** 14n);
  return isTooLarge ? null : { amt: written(amt), tax: written(tax), total: written(amt + tax) };
}

for (const form of document.querySelectorAll("form[data-sale]")) {
  const field = (name) => form.elements.namedItem(name);
  const compute = () => {
    const known = amounts(field("qty").value, field("cost").value, form.dataset.taxRate);
    for (const name of ["amt", "tax", "total"]) {
      field(name).value = known ? known[name] : "";
      // What a script has computed the server checks; without one it computes by itself.
      field(name).disabled = known === null;
    }
  };
  form.addEventListener("input", compute);
  // What is wrong is typed over.
  form.querySelector("input[autofocus]:not([type=date])")?.select();
  compute();
}
