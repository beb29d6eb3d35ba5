/** Writes schema/sallyport.schema.json, the JSON Schema of a policy for editors, from the schema that validates policies. */
import { writeFileSync } from 'node:fs';
import { schemaText } from '../src/compiler/policy/schema.ts';

writeFileSync(new URL('../schema/sallyport.schema.json', import.meta.url), schemaText());
