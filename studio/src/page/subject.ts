/** What the page is about at the moment: whatever was clicked last. */
export type Subject =
  | { readonly kind: "weight"; readonly name: string; readonly index: readonly number[] }
  | { readonly kind: "unit"; readonly layer: string; readonly unit: readonly number[] }
  | { readonly kind: "loss" };

export const sameSubject = (a: Subject | undefined, b: Subject | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

export function subjectTitle(subject: Subject): string {
  switch (subject.kind) {
    case "weight":
      return `${subject.name}[${subject.index.join(", ")}]`;
    case "unit":
      return `${subject.layer}, unit ${subject.unit.join(", ")}`;
    case "loss":
      return "the loss";
  }
}
