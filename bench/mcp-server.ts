/** The MCP server of `mcp-echo.ts` over stdio. */
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { echoServer } from './mcp-echo.ts';

await echoServer().connect(new StdioServerTransport());
