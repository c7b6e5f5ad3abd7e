/** The worker in which the lab lives. */
import { connect } from "chainrule/worker";
import { Lab } from "./lab.ts";

connect(self, new Lab());
