/** An activation as a layer of its own. */
import { activationNamed } from "../activations.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";

const make = defineLayer<{ readonly activation: string } & LayerOptions>("activation", {
  options: [],
  masks: "places",
  apply: (config, { x, name }) => name(activationNamed(config.activation)(x), "a"),
  describe: (config) => config.activation,
});

/**
 * Applies an activation to every number: any shape. Softmax goes over the last axis.
 *
 * @example
 * const model = sequential({ input: [4] }, [dense(8), batchNorm(), activation("relu"), dense(1)]);
 */
export function activation(name: string, options: LayerOptions = {}): Layer {
  activationNamed(name);
  return make(options, { activation: name });
}
