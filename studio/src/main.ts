import "./style.css";
import { mount } from "svelte";
import { isolate } from "./page/isolation.ts";
import Studio from "./page/studio.svelte";

if (!(await isolate())) mount(Studio, { target: document.getElementById("app")! });
