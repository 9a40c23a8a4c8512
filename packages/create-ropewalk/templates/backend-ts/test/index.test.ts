import { __name__Backend } from "@@package@@";
import { backendLaws } from "./laws.ts";

// The laws of rotary position embedding, and: the same bits as core's JavaScript.
backendLaws(__name__Backend);
