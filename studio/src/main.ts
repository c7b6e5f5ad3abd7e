import "./style.css";
import { mount } from "svelte";
import Studio from "./page/studio.svelte";

mount(Studio, { target: document.getElementById("app")! });
