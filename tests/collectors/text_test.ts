// Cut texts, by example and for all strings.
import assert from "node:assert/strict";
import fc from "fast-check";
import { cutMark, truncate } from "../../collectors/text.ts";

const anyText = fc.string({ unit: "binary", maxLength: 60 });
const limit = fc.integer({ min: cutMark.length, max: 70 });

Deno.test("truncate leaves a text within the limit alone", () => {
  assert.equal(truncate("", 14), "");
  assert.equal(truncate("a".repeat(1_000), 1_000), "a".repeat(1_000));
});

Deno.test("truncate ends a cut text in the mark, within the limit", () => {
  const cut = truncate("a".repeat(1_001), 1_000);
  assert.equal(cut, "a".repeat(1_000 - cutMark.length) + "...[truncated]");
  assert.equal(cut.length, 1_000);
});

Deno.test("truncate leaves out the pair that the cut would go through", () => {
  const end = 20 - cutMark.length;
  assert.equal(truncate("a".repeat(end - 1) + "😀" + "b".repeat(20), 20), "a".repeat(end - 1) + cutMark);
  assert.equal(truncate("a".repeat(end - 2) + "😀" + "b".repeat(20), 20), "a".repeat(end - 2) + "😀" + cutMark);
});

Deno.test("truncate never passes the limit, never splits a pair and cuts no more than it must", () => {
  fc.assert(fc.property(anyText, limit, (text, charsMax) => {
    const cut = truncate(text, charsMax);
    assert.ok(cut.length <= charsMax);
    assert.ok(cut.isWellFormed());
    if (text.length <= charsMax) assert.equal(cut, text);
    else {
      assert.ok(cut.endsWith(cutMark));
      assert.ok(text.startsWith(cut.slice(0, -cutMark.length)));
      assert.ok(cut.length >= charsMax - 1);
    }
  }));
});
