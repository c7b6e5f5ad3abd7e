/**
 * The shaders of each kind of kernel, as files to read: test/fixtures/wgsl. They need no GPU. A change of a kernel changes
 * them, and is looked at there before `vitest -u` takes it.
 */
import { describe, expect, test } from "vitest";
import { type Layout, stepShaders } from "../../src/backends/webgpu/shader.ts";
import { input, variable } from "../../src/graph/leaf.ts";
import type { Node } from "../../src/graph/node.ts";
import {
  add,
  conv2d,
  gather,
  gradientsOf,
  matmul,
  maxPool2d,
  mul,
  randomUniform,
  relu,
  scatterAdd,
  softmax,
  sub,
  sum,
  tanh,
  transpose,
} from "../../src/ops/index.ts";
import { makePlan, type PlanRequest, stepName } from "../../src/plan/plan.ts";

/** The shaders of a plan, step by step, with arrays in a row. */
function shadersOf(request: PlanRequest, workgroupBytes = 32768): string {
  const plan = makePlan(request);
  const places = new Map<Node, number>();
  const layout: Layout = {
    address: (node) => {
      const slot = plan.slots.get(node);
      if (slot) return 1024 + slot.offset / 4;
      if (!places.has(node)) places.set(node, 16 * (places.size + 1) * 1e6);
      return places.get(node)!;
    },
    scratch: () => {},
    scratchAddress: () => 0,
    workgroupBytes,
  };
  return plan.steps
    .map((step) => {
      const { shaders } = stepShaders(plan, step, layout);
      return `// ${stepName(step)}\n${shaders.map(({ code, groups }) => `// ${groups.join(" × ")} workgroups\n${code}`).join("\n")}`;
    })
    .join("\n");
}

const x = (...shape: number[]) => input("x", shape);
const w = variable("w", [64, 64]);
const index = input("index", [9], "int");

const kinds: Record<string, () => PlanRequest> = {
  "elementwise, operands that broadcast": () => {
    const [a, b, c] = [x(4, 3, 5), x(3, 1), x(5)];
    return { inputs: [a, b, c], outputs: [tanh(add(mul(a, b), c))] };
  },
  "matmul in tiles with edges, bias and relu": () => {
    const [a, b, c] = [x(7, 9), x(9, 5), x(5)];
    return { inputs: [a, b, c], outputs: [relu(add(matmul(a, b), c))] };
  },
  "matmul in large tiles and vectors": () => {
    const [a, b] = [x(4096, 512), x(512, 4096)];
    return { inputs: [a, b], outputs: [matmul(a, b)] };
  },
  "matmul split over k, with an update in place and a guard": () => {
    const [a, dy] = [x(2048, 64), x(2048, 64)];
    const loss = sum(dy);
    const value = sub(w, mul(0.1, matmul(a, dy, { transposeA: true })));
    return { inputs: [a, dy], outputs: [loss], updates: [{ variable: w, value }], guard: loss };
  },
  "convolution and its gradients": () => {
    const [a, k] = [x(2, 9, 9, 4), x(3, 3, 4, 8)];
    const y = conv2d(a, k, { padding: "same", stride: 2 });
    return { inputs: [a, k], outputs: [y, ...gradientsOf(sum(mul(y, y)), [a, k])] };
  },
  "depthwise convolution": () => {
    const [a, k] = [x(2, 6, 6, 3), x(3, 3, 1, 3)];
    return { inputs: [a, k], outputs: [conv2d(a, k, { groups: 3 })] };
  },
  "reductions along rows": () => {
    const a = x(6, 100);
    return { inputs: [a], outputs: [sum(mul(a, a), 1)] };
  },
  "reductions down columns": () => {
    const a = x(5000, 20);
    return { inputs: [a], outputs: [sum(mul(a, a), 0)] };
  },
  softmax: () => {
    const a = x(6, 10);
    return { inputs: [a], outputs: [softmax(a)] };
  },
  "gather and scatterAdd": () => {
    const [table, rows] = [x(5, 6), x(9, 6)];
    return { inputs: [table, rows, index], outputs: [gather(table, index), scatterAdd(rows, index, [5, 6])] };
  },
  "pooling and its gradient": () => {
    const a = x(2, 5, 5, 3);
    const y = maxPool2d(a, 2);
    return { inputs: [a], outputs: [y, ...gradientsOf(sum(mul(y, y)), [a])] };
  },
  transpose: () => {
    const a = x(3, 4, 5);
    return { inputs: [a], outputs: [transpose(a, [2, 0, 1])] };
  },
  "random numbers": () => {
    const step = input("step", [], "int");
    return { inputs: [step], outputs: [randomUniform(step, [10], [1, 2])] };
  },
};
test.each(Object.keys(kinds))("%s", async (name) => {
  await expect(shadersOf(kinds[name]())).toMatchFileSnapshot(`../fixtures/wgsl/${name.replaceAll(/\W+/g, "-")}.wgsl`);
});

describe("shaders", () => {
  test("of steps that are alike are the same", () => {
    const [a, b, c] = [x(8, 16), variable("b", [16, 16]), variable("c", [16, 16])];
    const plan = makePlan({ inputs: [a], outputs: [tanh(matmul(tanh(matmul(a, b)), c))] });
    expect(plan.steps.length).toBe(2);
    const text = shadersOf(plan.request).split("// matmul+tanh\n");
    expect(text[1].trim()).toBe(text[2].trim());
  });

  test("go on along y where there are more rows of tiles than a device counts along x, and look for the end", () => {
    const [a, b] = [x(600_000, 8), x(8, 8)];
    const text = shadersOf({ inputs: [a, b], outputs: [matmul(a, b)] });
    expect(text).toContain("// 32768 × 2 × 1 workgroups");
    expect(text).toContain("< 600000u");
  });

  test("take smaller tiles where workgroups have little memory", () => {
    const [a, b] = [x(4096, 512), x(512, 4096)];
    const request = { inputs: [a, b], outputs: [matmul(a, b)] };
    expect(shadersOf(request)).toContain("// 32 × 1 × 32 workgroups");
    expect(shadersOf(request, 16384)).toContain("// 64 × 1 × 64 workgroups");
  });
});
