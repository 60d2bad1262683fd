/** The SDK's types of a model, taken from what `ai` exports: its own package of them is no dependency of ours. */
import type { LanguageModelMiddleware } from 'ai';

type WrapGenerate = NonNullable<LanguageModelMiddleware['wrapGenerate']>;
type WrapStream = NonNullable<LanguageModelMiddleware['wrapStream']>;
type TransformParams = NonNullable<LanguageModelMiddleware['transformParams']>;

export type CallParams = Parameters<TransformParams>[0]['params'];
export type ModelTool = NonNullable<CallParams['tools']>[number];
export type GenerateResult = Awaited<ReturnType<WrapGenerate>>;
export type Content = GenerateResult['content'][number];
export type StreamResult = Awaited<ReturnType<WrapStream>>;
export type StreamPart = StreamResult['stream'] extends ReadableStream<infer Part> ? Part : never;
export type FinishReason = GenerateResult['finishReason'];
export type ModelWarning = GenerateResult['warnings'][number];
export type ModelToolCall = Extract<Content, { readonly type: 'tool-call' }>;
