/* All actions a step may take. To add one: a file of its own and a line in actions.h. */
#include "injectors/actions.h"
#include "injectors/injector.h"

#define LIST_INJECTOR(name) &inject_##name,

const struct variant *const injector_actions[] = {INJECTORS(LIST_INJECTOR) NULL};
