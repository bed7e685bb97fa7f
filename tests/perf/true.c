/* SPDX-License-Identifier: MIT */
/* The program that exec-static starts. */

int main(void)
{
	return 0;
}
