"""Prints every command of `az acr` that this Azure CLI has, a line each."""

from azure.cli.core import get_default_cli

cli = get_default_cli()
cli.invocation = cli.invocation_cls(
    cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
)
for name in sorted(cli.invocation.commands_loader.load_command_table(["acr"])):
    if name.startswith("acr "):
        print(name)
