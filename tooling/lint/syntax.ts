/** Helpers for syntax trees. */

import type { Node, ObjectPropertyKind } from "oxc-parser";

/** Calls `see` with every node of a syntax tree, and with the node that holds it. */
export function visit(root: Node, see: (node: Node, parent: Node | undefined) => void): void {
  const enter = (value: unknown, parent: Node | undefined): void => {
    if (Array.isArray(value)) for (const item of value) enter(item, parent);
    else if (isNode(value)) {
      see(value, parent);
      for (const child of Object.values(value)) enter(child, value);
    }
  };
  enter(root, undefined);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** The text of a string literal; undefined for anything else. */
export function textOf(node: Node | null | undefined): string | undefined {
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

/** The name of a key as it is written, quoted or not; undefined for a computed one. */
export function keyOf(node: Node): string | undefined {
  return node.type === "Identifier" ? node.name : textOf(node);
}

/** The properties of an object literal, by name. */
export function propertiesOf(node: Node | null | undefined): ReadonlyMap<string, Node> {
  const properties: readonly ObjectPropertyKind[] = node?.type === "ObjectExpression" ? node.properties : [];
  return new Map(
    properties.flatMap((property) => {
      const name = property.type === "Property" ? keyOf(property.key) : undefined;
      return property.type === "Property" && name !== undefined ? [[name, property.value]] : [];
    }),
  );
}
