/**
 * What a network has learnt serves another task: the hidden layer of a network that tells three spirals apart is frozen,
 * and only a new last layer learns to tell the first spiral from the other two, from a tenth of the rows.
 */
import { adam, dense, sequential } from "chainrule";
import { spirals, take } from "chainrule/data";

const data = spirals({ count: 600, seed: 1 });
const hidden = { activation: "tanh" } as const;

const teacher = sequential({ input: [2], seed: 1 }, [dense(32, hidden), dense(32, hidden), dense(3)]);
await teacher.fit(data, { loss: "crossEntropy", optimizer: adam({ learningRate: 0.01 }), epochs: 60 });

const frozen = { ...hidden, trainable: false };
export const student = sequential({ input: [2], seed: 2 }, [dense(32, frozen), dense(32, frozen), dense(1)]);
export const taken = ["dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias"];
for (const name of taken) student.setWeight(name, teacher.weight(name));

const isFirst = (y: ArrayLike<number>): number[] => Array.from(y, (label) => (label === 0 ? 1 : 0));
const few = take(
  data,
  Array.from({ length: 60 }, (_, i) => 10 * i),
);
await student.fit(
  { x: few.x, y: isFirst(few.y) },
  { loss: "binaryCrossEntropy", optimizer: adam({ learningRate: 0.05 }), epochs: 50 },
);

export const before = taken.map((name) => teacher.weight(name));
export const { accuracy } = await student.evaluate({ x: data.x, y: isFirst(data.y) }, { metrics: ["accuracy"] });
console.log(`${(100 * accuracy).toFixed(1)} % of 600 rows, learnt from 60`);
