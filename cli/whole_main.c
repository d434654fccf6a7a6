#include "cli/whole.h"

int main(int argc, char **argv)
{
	return vault_main(argc, argv);
}
