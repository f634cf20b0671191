import { describeStore } from '../support/store-conformance.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';

describeStore('directory store', () => new EmbeddedLaboratory(MEMORY));
