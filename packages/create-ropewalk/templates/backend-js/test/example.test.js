import { javascript } from "../example/javascript.js";
import { backendLaws, cases } from "./laws.js";

// One case is enough for what hands everything on.
backendLaws(javascript, cases.slice(0, 1));
