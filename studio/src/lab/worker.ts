/** The worker in which the lab lives. */
import { connect, type Port } from "chainrule/worker";
import { Lab } from "./lab.ts";

connect(self as unknown as Port, new Lab());
