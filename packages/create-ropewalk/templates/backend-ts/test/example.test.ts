import { javascript } from "../example/javascript.ts";
import { backendLaws, cases } from "./laws.ts";

// One case is enough for what hands everything on.
backendLaws(javascript, cases.slice(0, 1));
