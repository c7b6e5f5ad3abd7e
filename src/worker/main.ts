/** What the library's own worker runs. */
import { serve } from "./serve.ts";

serve();
