/* What any process costs: dynamic libc, nothing else. */
int main(void)
{
	return 0;
}
